"""Prompts to go on from and texts to read, for a model of 135M parameters."""

PROMPTS = (
    'The capital of France is',
    'Water boils at a temperature of',
    'The three primary colors are',
    'Once upon a time, in a small village,',
    'def fibonacci(n):\n',
    'import numpy as np\n\n',
    'The mitochondria is the',
    'To make a cup of tea, first',
    'In 1969, Neil Armstrong',
    '2 + 2 = 4\n3 + 3 =',
    'The largest planet in the solar system is',
    'A triangle has three sides. A square has',
    'Dear Sir or Madam,\n\n',
    'Shakespeare wrote',
)
QUESTIONS = (
    'What is the capital of France?',
    'Name three animals that can fly.',
    'What is photosynthesis?',
    'Write one sentence about the sea.',
    'How many days are there in a week?',
    'What do bees make?',
)
PASSAGES = (
    'A textbook explains one idea at a time. It starts from what the reader knows, gives an '
    'example, and then asks a question that the example can answer. A good exercise is short.',
    'The river rose for three days, and on the fourth morning the bridge was gone. Nobody was '
    'hurt, because the farmers on both banks had seen the water coming and moved to higher ground.',
    'Sorting a list means putting its items in order. Insertion sort takes the items one by one '
    'and moves each to its place among those before it, which takes time that grows as the square.',
    'Plants take in carbon dioxide from the air and water from the soil. With the energy of '
    'sunlight they make sugar, and the oxygen that is left over goes back into the air.',
    'def mean(values):\n    """The average of some numbers."""\n    total = 0\n    for value in '
    'values:\n        total += value\n    return total / len(values)\n',
    'In the winter of that year the price of bread doubled. The council opened its stores, but '
    'there was not enough grain for the whole city, and many families left for the coast.',
    'A function is continuous at a point if its value there is the limit of its values nearby. '
    'Every differentiable function is continuous, but not every continuous one is differentiable.',
    'The cat sat by the window and watched the snow. When the door opened it ran outside, stopped '
    'at the first cold step, shook one paw and then the other, and walked slowly back in.',
)
SYSTEM = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face'


def chat(tokenizer, question: str) -> list[int]:
    """The ids of a question in the form of the model's chat template (ChatML)."""
    start, end = tokenizer.special('<|im_start|>'), tokenizer.special('<|im_end|>')
    ids = []
    for role, text in (('system', SYSTEM), ('user', question)):
        ids += [start, *tokenizer.encode(f'{role}\n{text}'), end, *tokenizer.encode('\n')]
    return [*ids, start, *tokenizer.encode('assistant\n')]
