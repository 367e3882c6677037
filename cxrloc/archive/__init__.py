"""Archives: what lies in them, as tables that one queries."""
