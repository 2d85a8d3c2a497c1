"""What depends on the computer: threads, files, how TensorFlow starts."""
