"""Brightness events: made from pictures and frames, read from recordings, drawn as pictures for the encoder.

An event says that one pixel became brighter (ON) or darker (OFF). Arrays of events over a picture are (..., 2, H, W),
ON first. All of it is integer arithmetic on numpy arrays: the same input gives the same bits on every machine.
"""
