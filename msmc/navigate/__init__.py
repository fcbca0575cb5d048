"""What an editor asks of a spec: pure functions over syntax trees, without a word of the editor's protocol."""
