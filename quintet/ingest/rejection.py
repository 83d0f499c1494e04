"""The errors that reject a file."""


class FileRejectedError(Exception):
    """A file cannot be read as its dataset; the message says what is wrong, where, and how to fix it."""


class MissingColumnsError(FileRejectedError):
    """A file can be read, and its header lacks required columns.

    titles: of its columns. lacking: the required columns, `a or b` where one of several is enough.
    """

    def __init__(self, titles: tuple[str, ...], lacking: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.titles, self.lacking = titles, lacking
