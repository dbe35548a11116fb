"""The emulator of AWS (MiniStack) and our differences from it, one a module.

MiniStack is pinned exactly. Each module declares the private names that it uses in
`PRIVATE_NAMES`, and one test gathers them all and fails when an upgrade changes one
(tests/local/test_emulator.py).
"""
