"""Equipment: ledger, maintenance, inspection rounds, telemetry, control, spare parts."""
