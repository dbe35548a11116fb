"""A Rekognition endpoint on real faces."""
