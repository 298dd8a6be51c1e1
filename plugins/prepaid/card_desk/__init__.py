"""The program beside a card reader at the front desk; it needs nothing of Dougong but its API."""
