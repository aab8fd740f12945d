"""What is typed, and how long it is."""

import streamlit as st

text = st.text_input("say")
st.write(f"heard {len(text)}: {text[:40]}")
