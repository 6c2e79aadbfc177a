/* The rules of gitleaks, ready for the finder (rules/): part of the program. */
    .section .rodata
    .balign 64
    .global gitgate_rules
    .type gitgate_rules, %object
gitgate_rules:
    .incbin GITGATE_RULES_BLOCK
gitgate_rules_end:
    .size gitgate_rules, gitgate_rules_end - gitgate_rules
    .balign 8
    .global gitgate_rules_len
    .type gitgate_rules_len, %object
    .size gitgate_rules_len, 8
gitgate_rules_len:
    .quad gitgate_rules_end - gitgate_rules
    .section .note.GNU-stack, "", %progbits
