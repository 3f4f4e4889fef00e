"""The vaults of a deployment, held against those that are there: infra/scripts/look_first.sh asks az.

python3 -m infra.vaults wanted --folder DIR …    what the parameters name, with what they leave out filled in
python3 -m infra.vaults there --folder DIR       which of those are there
python3 -m infra.vaults judge --folder DIR …     what would go wrong, with the remedies
python3 -m infra.vaults last --folder DIR …      which of those that left were the last of their subscription
python3 -m infra.vaults left --folder DIR …      what stays on vaults that are looked after no longer
"""
