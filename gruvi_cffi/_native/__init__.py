"""What csrc/ does, as Python objects.

Nothing else imports the compiled module, no cdata leaves this package, and nothing in it switches.
"""
