"""From documents to those worth training on: judged, embedded, scored, selected."""
