"""Shipped for tests, ours and yours: conformance suites, emulators and a pytest plugin."""
