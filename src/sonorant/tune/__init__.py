"""Tuning: the settings under which a model serves best on this machine, found by measuring.

look (networks, their choices) ─▶ space (knobs) ─▶ search ◀─▶ trial (a real server under load, in a child)
                                                     │  ▲
                  table, plot, JSON, TOML ◀─ verdict ◀┘  └─ journal (what was measured is not measured again)
"""

SECONDS = 600.0
"""for all trials together, unless it is said"""
TRIALS = 200
