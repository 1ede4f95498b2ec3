#!/usr/bin/python3
"""Makes a file a C string: embed.py INPUT OUTPUT NAME HEADER."""

import sys

source, target, name, header = sys.argv[1:]
with open(source, "rb") as file:
    data = b"".join(line.strip() for line in file) + b"\0"
with open(target, "w", encoding="ascii") as file:
    file.write(f'#include "{header}"\n\nconst char {name}[] = {{\n')
    for at in range(0, len(data), 20):
        # as signed numbers, which is what a char is here
        file.write(" ".join(f"{b - 256 if b > 127 else b}," for b in data[at : at + 20]) + "\n")
    file.write("};\n")
