"""Lost property: what was found, and who fetched it."""
