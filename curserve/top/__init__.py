"""`curserve top`: what the daemon does, live.

feed.py asks the daemon and vLLM, figures.py makes numbers of two answers, state.py is what keys change, frame.py draws,
program.py is the loop around them.
"""
