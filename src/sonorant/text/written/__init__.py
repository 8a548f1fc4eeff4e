"""What is written in signs and figures, as a person reads it out: words, for each language its own.

A module a subject: `addresses` and `emoji` for every language, `chinese` and `english` for the rest.
What they leave in figures (plain numbers, years, fractions) the languages' grammars read.
"""
