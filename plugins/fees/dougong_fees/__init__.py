"""Fee items, charges, bill runs, bills and arrears."""
