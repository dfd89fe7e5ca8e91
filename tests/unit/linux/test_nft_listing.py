"""What `nft -a list table` prints, read: rules by their handles."""

from labkit.linux.nftables.listing import ListedChain, parse

TEXT = """table ip t { # handle 7
	comment "x"
	set s { # handle 3
		type ipv4_addr
		elements = { 10.0.0.1 }
	}

	chain base { # handle 1
		type filter hook forward priority filter; policy accept;
		ip daddr @s jump service-AAAA-ns/web/tcp/http # handle 5
		ip saddr 10.0.0.1 drop comment "so # handle 9 it is" # handle 6
	}

	chain service-AAAA-ns/web/tcp/http { # handle 2
		comment "a chain"
	}
}
"""


def test_chains_and_their_rules() -> None:
    assert parse(TEXT) == {
        "base": ListedChain(
            {
                5: "ip daddr @s jump service-AAAA-ns/web/tcp/http",
                6: 'ip saddr 10.0.0.1 drop comment "so # handle 9 it is"',
            },
            base=True,
        ),
        "service-AAAA-ns/web/tcp/http": ListedChain({}, base=False),
    }


def test_nothing() -> None:
    assert parse("") == {}
