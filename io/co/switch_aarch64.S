/* switch_aarch64.S - change stacks on aarch64 (AAPCS64): switch.h.
 *
 * Saved are x19 to x30 and the low halves of v8 to v15, which is what the ABI gives to the callee.
 * It leaves with br, not with ret, since the return predictor would always be wrong; under BTI it
 * has to be ret, because a return address is no landing pad. After the switch the new stack has the
 * layout of the old one, so one set of CFI describes both.
 */
    .text

    .globl gy_context_switch
    .hidden gy_context_switch
    .type gy_context_switch, %function
    .p2align 4
gy_context_switch: /* x0 = from, x1 = to */
    .cfi_startproc
#ifdef __ARM_FEATURE_BTI_DEFAULT
    hint #34 /* bti c */
#endif
    sub sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    mov x9, sp
    str x9, [x0]
    ldr x9, [x1]
    mov sp, x9
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
#ifdef __ARM_FEATURE_BTI_DEFAULT
    ret x30
#else
    br x30
#endif
    .cfi_endproc
    .size gy_context_switch, . - gy_context_switch

/* The bottom of each coroutine: entry in x19, argument in x20. Unwinders stop here, since the
 * return address is undefined. They look up the byte before a return address, hence the nop. */
    .globl gy_context_entry
    .hidden gy_context_entry
    .type gy_context_bottom, %function
    .p2align 4
gy_context_bottom:
    .cfi_startproc
    .cfi_undefined x30
    nop
gy_context_entry:
#ifdef __ARM_FEATURE_BTI_DEFAULT
    hint #36 /* bti j */
#endif
    mov x0, x20
    blr x19
    brk #1 /* the entry came back */
    .cfi_endproc
    .size gy_context_bottom, . - gy_context_bottom

#ifdef __ARM_FEATURE_BTI_DEFAULT
    .section .note.gnu.property, "a"
    .p2align 3
    .word 4, 16, 5          /* sizes of name and descriptor, NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .word 0xc0000000, 4, 1, 0 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI */
#endif
    .section .note.GNU-stack, "", %progbits
