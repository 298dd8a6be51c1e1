"""What people and programs see: the Flask application, admin, JSON API, portals, sign-in."""
