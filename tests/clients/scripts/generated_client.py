"""Calls the sample service with the package that openapi-python-client has made of its document.
Prints what it got, as JSON."""

from __future__ import annotations

import json
import sys
from http import HTTPStatus

from sample_client import AuthenticatedClient, Client
from sample_client.api.sample import add, get_greet, text_count_words
from sample_client.models.add_arguments import AddArguments
from sample_client.models.countdown_arguments import CountdownArguments
from sample_client.models.error import Error
from sample_client.models.text_count_words_arguments import TextCountWordsArguments


def main(url: str) -> None:
    with Client(base_url=url, raise_on_unexpected_status=True) as client:
        words = TextCountWordsArguments(text="so far so good")
        result = {
            "sum": add.sync(client=client, body=AddArguments(a=1.5, b=2.0)),
            "greeting": get_greet.sync(client=client, name="Ada", greeting="Good morning"),
            "words": text_count_words.sync(client=client, body=words),
        }
        failed = text_count_words.sync_detailed(
            client=client, body=TextCountWordsArguments.from_dict({"text": 1})
        )
        assert failed.status_code is HTTPStatus.BAD_REQUEST
        assert isinstance(failed.parsed, Error)
        result["failure"] = failed.parsed.code
        # The generator knows no streams: what it makes reads one value of JSON.
        arguments = CountdownArguments(start=1).to_dict()
        with client.get_httpx_client().stream("POST", "/countdown", json=arguments) as stream:
            result["countdown"] = [line for line in stream.iter_lines() if line]
    with AuthenticatedClient(base_url=url, token="forged") as stranger:
        refused = get_greet.sync(client=stranger, name="Ada")
        assert isinstance(refused, Error)
        result["stranger"] = refused.code
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
