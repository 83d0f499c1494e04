"""How figures and reports look: colours, formats, charts' theme and layout."""
