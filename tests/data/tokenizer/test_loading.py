def test_a_directory_without_a_tokenizer(tmp_path):
    with pytest.raises(MissingDataError, match=r'nor tokenizer\.json nor vocab\.json with merges'):
        tokenizer.load(tmp_path)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match='no such file or directory'):
        tokenizer.load(tmp_path / 'nowhere' / 'at' / 'all')


@pytest.mark.parametrize('content', ['', '{', '{"model": 3}', '[]'])
def test_a_damaged_tokenizer(tmp_path, content):
    (tmp_path / 'tokenizer.json').write_text(content)
    with pytest.raises(InputError, match=r'tokenizer\.json is not a tokenizer that can be read'):
        tokenizer.load(tmp_path)


def test_a_tokenizer_without_end_of_text(trained, tmp_path):
    trained.save(tmp_path)
    text = (tmp_path / 'tokenizer.json').read_text().replace('<|endoftext|>', '<eos>')
    (tmp_path / 'tokenizer.json').write_text(text)
    with pytest.raises(InputError, match=r'has no <\|endoftext\|> among its 600 tokens'):
        tokenizer.load(tmp_path)


def test_a_hub_name_without_a_network(monkeypatch, tmp_path):
    for name in ('http_proxy', 'https_proxy', 'all_proxy'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv('HF_ENDPOINT', 'https://nowhere.invalid')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDataError, match=r'no directory nobody/nothing, and the .* hub'):
        tokenizer.load('nobody/nothing')
