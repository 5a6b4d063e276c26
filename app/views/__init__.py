"""Pages of the application: what Streamlit draws, with no reading and no reckoning of their own."""
