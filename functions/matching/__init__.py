"""The domain: images and their ids, faces, matches, reports, errors, settings.

Pure Python: nothing in here calls AWS, knows an AWS event's shape or reads the clock by itself.
"""
