"""Building: schedule, claim, carry out, record."""
