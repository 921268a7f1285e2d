from email.utils import formatdate

hop_by_hop = {'connection','keep-alive','proxy-authenticate','proxy-authorization','te','trailers','transfer-encoding','upgrade'}
def rfc1123_date(timestamp=None):
    return formatdate(timestamp, usegmt=True)
