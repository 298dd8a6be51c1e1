"""The ground: property group, legal entity, region, community, building, unit, room, people."""
