"""What attention costs: parameters to train, bytes to cache, bytes of scores."""


def parameter_count(
    d_model,
    num_heads,
    num_kv_heads=None,
    d_k=None,
    d_v=None,
    *,
    d_memory=None,
    output_projection=True,
    bias=False,
):
    """Return how many numbers one attention layer trains.

    Parameters
    ----------
    d_model, num_heads : int
    num_kv_heads : int, optional
        By default `num_heads`.
    d_k, d_v : int, optional
        Widths per head; by default ``d_model // num_heads``, which must then divide.
    d_memory : int, optional
        Width of the tokens that are read; by default `d_model`.
    output_projection : bool, default True
    bias : bool, default False
        One more number per column of each matrix.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If `num_heads` is below 1, or a width is left to the default and `d_model` is not a multiple
        of `num_heads`.

    Notes
    -----
    With the default widths and as many key/value heads as heads this is ``4 * d_model**2`` whatever
    the number of heads, [1]_, section 3.2.2.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> parameter_count(512, 8), parameter_count(512, 8, num_kv_heads=1)
    (1048576, 589824)
    """
    if num_heads < 1:
        raise ValueError(f"num_heads must be at least 1, got {num_heads}")
    if (d_k is None or d_v is None) and d_model % num_heads:
        raise ValueError(f"d_model must be a multiple of num_heads, got {d_model} and {num_heads}")
    num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
    d_k = d_model // num_heads if d_k is None else d_k
    d_v = d_model // num_heads if d_v is None else d_v
    d_memory = d_model if d_memory is None else d_memory
    matrices = [(d_model, num_heads * d_k), (d_memory, num_kv_heads * d_k), (d_memory, num_kv_heads * d_v)]
    if output_projection:
        matrices.append((num_heads * d_v, d_model))
    return sum((rows + bool(bias)) * columns for rows, columns in matrices)


def cache_bytes(n_tokens, num_kv_heads, d_k, d_v, *, num_layers=1, bytes_per_number=2):
    """Return how much memory the keys and values of `n_tokens` take while decoding.

    Parameters
    ----------
    n_tokens, num_kv_heads, d_k, d_v : int
    num_layers : int, default 1
    bytes_per_number : int, default 2
        2 for float16 and bfloat16, 4 for float32.

    Returns
    -------
    int

    Notes
    -----
    Why [1]_ shares one key/value head among all query heads: the cache shrinks by their number.

    References
    ----------
    .. [1] Shazeer, 2019, section 3. arXiv:1911.02150

    Examples
    --------
    >>> cache_bytes(1000, num_kv_heads=8, d_k=64, d_v=64)
    2048000
    """
    return n_tokens * num_kv_heads * (d_k + d_v) * num_layers * bytes_per_number


def score_bytes(num_heads, n_q, n_k, *, bytes_per_number=4):
    """Return how much memory the scores of one layer take when they are all held at once.

    Parameters
    ----------
    num_heads, n_q, n_k : int
    bytes_per_number : int, default 4

    Returns
    -------
    int

    Examples
    --------
    >>> score_bytes(8, 512, 512) == 8 * 2**20, score_bytes(8, 1024, 1024) == 32 * 2**20
    (True, True)
    """
    return num_heads * n_q * n_k * bytes_per_number
