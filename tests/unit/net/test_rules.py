from labkit.net.rules import parse

WITHOUT_A_TARGET = '-m comment --comment "other traffic will be dropped"'


def test_a_rule_without_a_target_is_read_the_same_from_every_version_of_iptables() -> None:
    saved = "*nat\n:KUBE-FW - [0:0]\n-A KUBE-FW {}\nCOMMIT\n"
    new, old = parse(saved.format(WITHOUT_A_TARGET)), parse(saved.format(WITHOUT_A_TARGET + " "))  # 1.8.9, 1.8.7
    assert new == old
    assert old.tables[0].chains[0].rules[0].text == WITHOUT_A_TARGET
