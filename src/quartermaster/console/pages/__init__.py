"""The screens: one module each, an endpoint a route."""
