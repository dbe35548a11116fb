"""The local cloud: the synthesised template and the same functions, on one machine.

An emulator of AWS (`emulator`) and a Rekognition endpoint that works on real faces
(`rekognition`), both bound to 127.0.0.1, with dummy credentials.
"""
