"""What may be done, and by whom?

Takes: an actor with roles, ports to stores, arguments.
Gives: facts written and the values the face shows.
Never: parse a face's input, print, or trust an actor's name from it.
Invariant: no fact without a permitted, recorded actor.
"""
