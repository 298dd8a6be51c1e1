"""Rules of the trade: pure, without rows or clocks."""
