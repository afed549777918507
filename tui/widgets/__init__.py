"""The pieces that screens are made of. Each draws itself line by line, and only the lines that can be seen."""
