"""How the page looks: colours that are told apart in light and dark, and the fonts of the computer itself."""

import gradio as gr
from gradio.themes import Base

DARK = """() => {
  const dark = document.body.classList.toggle('dark');
  try { localStorage.setItem('bird-dark', dark ? '1' : '0'); } catch (e) {}
}"""
ON_LOAD = """() => {
  document.documentElement.lang = 'en';
  let wanted = null;
  try { wanted = localStorage.getItem('bird-dark'); } catch (e) {}
  if (wanted !== null) document.body.classList.toggle('dark', wanted === '1');
}"""


def theme() -> Base:
    """Fonts of the computer itself, so that none is loaded."""
    sans = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
    mono = ("ui-monospace", "Menlo", "Consolas", "monospace")
    made: Base = gr.themes.Soft(primary_hue="emerald", neutral_hue="slate", font=sans, font_mono=mono).set(
        button_primary_background_fill="#0d6b53",
        button_primary_background_fill_dark="#0d6b53",
        button_primary_background_fill_hover="#0a5743",
        button_primary_background_fill_hover_dark="#118064",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill_dark="#2b3640",
        button_secondary_background_fill_hover_dark="#3a4854",
        background_fill_secondary_dark="#11171c",
        table_even_background_fill_dark="#1a2229",
        table_odd_background_fill_dark="#11171c",
        link_text_color="#0d6b53",
        link_text_color_dark="#6ee7b7",
        link_text_color_visited="#0d6b53",
        link_text_color_visited_dark="#6ee7b7",
        color_accent="#0d6b53",
        body_text_color_subdued="#4b5563",
        body_text_color_subdued_dark="#c0c8d4",
        block_info_text_color="#4b5563",
        block_info_text_color_dark="#c0c8d4",
        block_border_width="0px",
        block_title_background_fill="none",
        block_title_background_fill_dark="none",
        block_title_border_width="0px",
        block_title_padding="0",
        block_label_background_fill="none",
        block_label_background_fill_dark="none",
        body_background_fill="#f7f8f6",
        body_background_fill_dark="#11171c",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1a2229",
        block_title_text_color="#0b4f3e",
        block_title_text_color_dark="#d5f5ea",
        block_label_text_color="#0b4f3e",
        block_label_text_color_dark="#d5f5ea",
        checkbox_label_background_fill_selected="#0d6b53",
        checkbox_label_background_fill_selected_dark="#0d6b53",
        checkbox_label_text_color_selected="#ffffff",
        checkbox_label_text_color_selected_dark="#ffffff",
        input_placeholder_color="#5b6675",
        input_placeholder_color_dark="#aab4c2",
    )
    return made
