"""What comes along: sentences, pictures and sounds to try, and results that papers printed."""
