# Flags of our own targets; no consumer inherits them.
#   gyre_flags       everything we compile
#   gyre_core_flags  the library: frames are small, since they lie on coroutine stacks

add_library(gyre_flags INTERFACE)
target_compile_options(gyre_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    $<$<BOOL:${GYRE_WERROR}>:-Werror>
    # clang checks who may suspend (GY_SUSPENDS) and that no status is dropped, where `(void)` says
    # that it is meant; gcc does not take that for an answer. gy_assert(!"a text") is fine.
    $<$<C_COMPILER_ID:Clang>:-Wthread-safety>
    $<$<C_COMPILER_ID:Clang>:-Wno-string-conversion>
    $<$<C_COMPILER_ID:GNU>:-Wno-unused-result>
    $<$<BOOL:${GYRE_MARCH}>:-march=${GYRE_MARCH}>
    -fno-semantic-interposition)

add_library(gyre_core_flags INTERFACE)
target_link_libraries(gyre_core_flags INTERFACE gyre_flags)

set(frame_bytes_max 2048)
set(host_frame_bytes_max 16384)
if(GYRE_SANITIZE OR GYRE_FUZZ)
    set(sanitizers ${GYRE_SANITIZE})
    if(GYRE_FUZZ)
        if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
            message(FATAL_ERROR "GYRE_FUZZ needs clang: -DCMAKE_C_COMPILER=clang")
        endif()
        if(NOT sanitizers)
            set(sanitizers "address,undefined")
        endif()
        target_compile_options(gyre_flags INTERFACE -fsanitize=fuzzer-no-link)
    endif()
    # Red zones make frames larger; io/co/stack scales its stacks by the same factor.
    math(EXPR frame_bytes_max "4 * ${frame_bytes_max}")
    math(EXPR host_frame_bytes_max "4 * ${host_frame_bytes_max}")
    target_compile_options(gyre_flags INTERFACE
        -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(gyre_flags INTERFACE -fsanitize=${sanitizers})
else()
    # Hardening: under 1 % of a cached get (figures in docs/decisions/0011-hardening.md). Shadow
    # stacks (-fcf-protection) do not go with code that switches stacks by itself.
    # tests/checks/check_hardening.sh looks at what comes out.
    target_compile_options(gyre_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
    foreach(flag -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero
            -fcf-protection=none)
        string(MAKE_C_IDENTIFIER "GYRE_HAS${flag}" has_flag)
        check_c_compiler_flag(${flag} ${has_flag})
        if(${has_flag})
            target_compile_options(gyre_flags INTERFACE ${flag})
        endif()
    endforeach()
endif()
target_compile_options(gyre_core_flags INTERFACE -Wframe-larger-than=${frame_bytes_max})
target_link_options(gyre_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)

if(GYRE_COVERAGE)
    target_compile_options(gyre_flags INTERFACE --coverage -fno-inline)
    target_link_options(gyre_flags INTERFACE --coverage)
    # Children of tests and the checker's workers end with _exit, which would lose their counts.
    add_library(gyre_coverage_exit STATIC ${PROJECT_SOURCE_DIR}/cmake/coverage_exit.c)
    target_link_options(gyre_flags INTERFACE -Wl,--wrap=_exit)
    target_link_libraries(gyre_flags INTERFACE gyre_coverage_exit)
endif()
if(GYRE_SLOW_ASSERTS)
    target_compile_definitions(gyre_flags INTERFACE GYRE_SLOW_ASSERTS)
endif()
