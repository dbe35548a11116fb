"""Unit tests: the domain, the handlers on moto and a Rekognition that behaves; sockets off."""
