/*
 * switch_aarch64.S: see switch.h; for the AAPCS64 calling convention.
 *
 * A place, upwards from its address: x29, x30 (signed with the address just above the place), x19
 * to x28, d8 to d15, FPCR and room. Pointer authentication and branch targets use instructions
 * from the hint space, which do nothing on processors that know neither.
 */
    .arch armv8-a

#define PLACE 176
#define BTI_C hint #34
#define PACIASP hint #25 /* a landing place for calls too */
#define AUTIASP hint #29
#define PACIA1716 hint #8

    .text

    .globl wi_switch
    .hidden wi_switch
    .type wi_switch, %function
    .balign 16
wi_switch:
    .cfi_startproc
    PACIASP
    .cfi_negate_ra_state
    stp x29, x30, [sp, #-PLACE]!
    .cfi_adjust_cfa_offset PLACE
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x19, x20, [sp, #16]
    .cfi_rel_offset x19, 16
    .cfi_rel_offset x20, 24
    stp x21, x22, [sp, #32]
    .cfi_rel_offset x21, 32
    .cfi_rel_offset x22, 40
    stp x23, x24, [sp, #48]
    .cfi_rel_offset x23, 48
    .cfi_rel_offset x24, 56
    stp x25, x26, [sp, #64]
    .cfi_rel_offset x25, 64
    .cfi_rel_offset x26, 72
    stp x27, x28, [sp, #80]
    .cfi_rel_offset x27, 80
    .cfi_rel_offset x28, 88
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x9, fpcr
    str x9, [sp, #160]
    mov x10, sp
    str x10, [x0]
    mov sp, x1 /* from here on the other stack, whose frame is just like this one */
    ldr x10, [sp, #160]
    cmp x10, x9 /* setting it is slow, and it is nearly always the same */
    b.eq 1f
    msr fpcr, x10
1:
    ldp d14, d15, [sp, #144]
    ldp d12, d13, [sp, #128]
    ldp d10, d11, [sp, #112]
    ldp d8, d9, [sp, #96]
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #PLACE
    .cfi_adjust_cfa_offset -PLACE
    .cfi_restore x29
    .cfi_restore x30
    AUTIASP
    .cfi_negate_ra_state
    ret
    .cfi_endproc
    .size wi_switch, . - wi_switch

/* Where a new stack starts: x19 is the function, x20 its argument. Debuggers see no frame above. */
    .type start, %function
    .balign 16
start:
    .cfi_startproc
    .cfi_undefined x30
    BTI_C
    mov x0, x20
    mov x29, #0
    mov x30, #0
    blr x19
    brk #1
    .cfi_endproc
    .size start, . - start

/* x0: top, x1: size, x2: entry, x3: arg */
    .globl wi_switch_new
    .hidden wi_switch_new
    .type wi_switch_new, %function
    .balign 16
wi_switch_new:
    .cfi_startproc
    BTI_C
    adrp x17, start
    add x17, x17, :lo12:start
    mov x16, x0 /* where sp will be when wi_switch authenticates it */
    PACIA1716
    sub x0, x0, #PLACE
    stp xzr, x17, [x0]
    stp x2, x3, [x0, #16]
    mrs x9, fpcr
    str x9, [x0, #160]
    ret
    .cfi_endproc
    .size wi_switch_new, . - wi_switch_new

    .section .rodata
    .globl wi_switch_name
    .hidden wi_switch_name
    .type wi_switch_name, %object
wi_switch_name:
    .asciz "aarch64"
    .size wi_switch_name, . - wi_switch_name

    .section .note.gnu.property, "a", %note
    .balign 8
    .long 4          /* of "GNU" and its zero */
    .long 16         /* of what follows it */
    .long 5          /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
    .long 4
    .long 3          /* BTI and PAC */
    .long 0

    .section .note.GNU-stack, "", %progbits
