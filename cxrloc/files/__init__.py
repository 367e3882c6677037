"""Reads tables and structured files, and writes files that are whole or absent."""
