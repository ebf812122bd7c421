"""Who may do what: principals, keys, guards."""
