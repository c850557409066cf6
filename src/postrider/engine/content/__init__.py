"""Templates, rendering, links and pixel, unsubscribe headers, composing: from what was handed in to what is mailed."""
