"""Load generators, percentiles and plots: how a served model does under load, as its clients see it.

texts, recordings ─▶ loads (closed, open) ─▶ a way of asking (http, in process) ─▶ outcomes
                                                                                    │
          table, JSON, plot, verdict of a target ◀─ report ◀─ figures, memory ◀─────┘
"""
