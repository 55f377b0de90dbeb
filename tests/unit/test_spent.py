"""What a picture's time went into adds up along its chain."""

from serve_app.spent import NO_TIME, Spent


def test_one_after_the_other_everything_adds_up() -> None:
    encoded, denoised = Spent(queue_s=1, encode_s=2), Spent(queue_s=4, denoise_s=8)
    assert encoded + denoised == Spent(queue_s=5, encode_s=2, denoise_s=8)
    assert (encoded + denoised).total_s == 15
    assert encoded + NO_TIME == encoded


def test_side_by_side_one_waits_for_the_longer() -> None:
    prompt, picture = Spent(queue_s=1, encode_s=2), Spent(queue_s=4, encode_image_s=8)
    assert prompt.beside(picture) == Spent(queue_s=4, encode_s=2, encode_image_s=8)


def test_only_what_took_time_is_named() -> None:
    assert NO_TIME.milliseconds == {}
    assert Spent(denoise_s=1.23456, store_s=0.1).milliseconds == {"denoise": 1234.6, "store": 100.0}
