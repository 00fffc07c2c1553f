/* switch_x86_64.S - change stacks on x86-64 (System V ABI): switch.h.
 *
 * Saved are rbx, rbp and r12 to r15; all else is the caller's by the ABI. It leaves with an
 * indirect jmp, not with ret: a ret would always be predicted to return to whoever called last (3
 * ns against 13). After the switch the new stack has the layout that the old one had, so one set of
 * CFI describes both. There is no note for shadow stacks: code that changes stacks does not go with
 * them, and the linker drops the property of the whole program when one object lacks it.
 */
    .text

    .globl gy_context_switch
    .hidden gy_context_switch
    .type gy_context_switch, @function
    .p2align 4
gy_context_switch: /* rdi = from, rsi = to */
    .cfi_startproc
#ifdef __CET__
    endbr64
#endif
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
#ifdef __CET__
    notrack jmp *%rcx /* a return address is no landing pad */
#else
    jmp *%rcx
#endif
    .cfi_endproc
    .size gy_context_switch, . - gy_context_switch

/* The bottom of each coroutine: entry in r12, argument in r13, rsp a multiple of 16. Unwinders stop
 * here, since the return address is undefined. They look up the byte before a return address, hence
 * the nop. */
    .globl gy_context_entry
    .hidden gy_context_entry
    .type gy_context_bottom, @function
    .p2align 4
gy_context_bottom:
    .cfi_startproc
    .cfi_undefined rip
    nop
gy_context_entry:
#ifdef __CET__
    endbr64
#endif
    movq %r13, %rdi
    callq *%r12
    ud2 /* the entry came back */
    .cfi_endproc
    .size gy_context_bottom, . - gy_context_bottom

    .section .note.GNU-stack, "", @progbits
