/*
 * switch_x86_64.S: see switch.h; for the System V calling convention.
 *
 * A place, upwards from its address: the floating-point control words (MXCSR, x87), r15, r14, r13,
 * r12, rbx, rbp, and the address to go on at.
 *
 * The note at the end promises indirect branch tracking (each function starts with endbr64) but no
 * shadow stacks: a return after a switch is to where another stack was called from.
 */
    .text

    .globl wi_switch
    .hidden wi_switch
    .type wi_switch, @function
    .balign 16
wi_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq %rsi, %rsp /* from here on the other stack, whose frame is just like this one */
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    ret
    .cfi_endproc
    .size wi_switch, . - wi_switch

/* Where a new stack starts: rbx is the function, r12 its argument. Debuggers see no frame above. */
    .type start, @function
    .balign 16
start:
    .cfi_startproc
    .cfi_undefined %rip
    endbr64
    movq %r12, %rdi
    xorl %ebp, %ebp
    call *%rbx
    ud2
    .cfi_endproc
    .size start, . - start

/* rdi: top, rsi: size, rdx: entry, rcx: arg */
    .globl wi_switch_new
    .hidden wi_switch_new
    .type wi_switch_new, @function
    .balign 16
wi_switch_new:
    .cfi_startproc
    endbr64
    leaq -64(%rdi), %rax
    stmxcsr (%rax)
    fnstcw 4(%rax)
    movq %rcx, 32(%rax)
    movq %rdx, 40(%rax)
    movq $0, 48(%rax)
    leaq start(%rip), %rcx
    movq %rcx, 56(%rax)
    ret
    .cfi_endproc
    .size wi_switch_new, . - wi_switch_new

    .section .rodata
    .globl wi_switch_name
    .hidden wi_switch_name
    .type wi_switch_name, @object
wi_switch_name:
    .asciz "x86-64"
    .size wi_switch_name, . - wi_switch_name

    .section .note.gnu.property, "a", @note
    .balign 8
    .long 4          /* of "GNU" and its zero */
    .long 16         /* of what follows it */
    .long 5          /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000002 /* GNU_PROPERTY_X86_FEATURE_1_AND */
    .long 4
    .long 1          /* GNU_PROPERTY_X86_FEATURE_1_IBT */
    .long 0

    .section .note.GNU-stack, "", @progbits
