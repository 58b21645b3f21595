"""The report: one HTML file that holds everything, for any browser, without server or network."""
