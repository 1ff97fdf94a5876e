"""The paper's tables: their rows, their trainings and what came out."""
