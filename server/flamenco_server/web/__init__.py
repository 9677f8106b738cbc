"""The web page: templates that the Server renders, and the scripts, styles and pictures that it hands out."""
